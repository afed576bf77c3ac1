"""Who withdraws what: a paper that was withdrawn itself, or one that speaks of a withdrawal."""

import time

import pytest

from astrosearch.corpus.withdrawal import is_withdrawn

WITHDRAWN = """
This paper has been withdrawn by the author
This paper has been withdrawn by the author(s), due to a crucial sign error in equation 1
this paper has been WITHDRAWN by the authors
This paper has been withdrawn. A corrected one will be posted
This paper has now been withdrawn
This paper has been temporarily withdrawn by the authors
This paper (arXiv:0704.0001) has been withdrawn
This paper, a draft of 2007, has been withdrawn
This paper is being withdrawn
This paper is no longer valid and has been withdrawn
This paper is withdrawn until further notice
This paper had to be withdrawn
This paper must be withdrawn, since the data were wrong
This paper has been withdrawn by Dr. A. Lamp, the first author
This paper has been withdrawn from the arXiv
This paper is retracted because the spectrum was of another star
This paper was retracted by its authors
This work has been withdrawn
This theoretical work has been withdrawn for now
This e-print is withdrawn
This is withdrawn
This manuscript was withdrawn on 3 May 2010
This article has been removed by arXiv administrators because of a dispute about authorship
This version withdrawn by arXiv administrators because of inadequate references
This submission has been withdrawn by arXiv administrators due to text overlap with other papers
arXiv admin note: withdrawn by arXiv admin because of fictitious authorship
arXiv admin note: submission withdrawn due to copyright
arXiv admin comment: This paper has been withdrawn at the request of the submitter
The paper has been withdrawn
The paper was withdrawn by the first author
The present article is withdrawn owing to an error in the code
The submission is withdrawn
The author has withdrawn the paper due to a wrong calibration
The authors have withdrawn this manuscript pending further analysis
The authors withdraw this submission
The authors wish to withdraw this paper
The authors are withdrawing this paper
The authors have decided to withdraw this article
The authors request the withdrawal of this paper
The submitter has withdrawn this paper
The first author withdraws this paper
Author has withdrawn this paper
I withdraw this paper
I have to retract this paper
We withdraw the paper because of a mistake in Sec. 2
We are withdrawing this preprint
We have decided to withdraw this work
We regret that we have to withdraw our paper
We hereby retract this paper
Paper withdrawn
Paper withdrawn by the author, superseded by arXiv:0704.0001
Paper has been withdrawn due to an error
Paper is withdrawn; to be revised
Paper withdrawn, will be resubmitted
Paper removed by the author
Article withdrawn at the request of the authors
Manuscript withdrawn due to a bug in the reduction
Draft withdrawn
Submission withdrawn by author
Preprint retracted
Withdrawn
WITHDRAWN!
(withdrawn)
[WITHDRAWN]
*** withdrawn ***
Withdrawn by author
Withdrawn by the authors from arXiv because of a disagreement
Withdrawn: the main result is wrong
Withdrawn - incorrect analysis
Withdrawn, error found
Withdrawn as superseded by arXiv:0704.0001
Withdrawn because it duplicates astro-ph/0601001
Withdrawn and replaced by arXiv:0704.0001
Withdrawn for major revision
Withdrawn from arXiv
Withdrawn in favour of a longer paper
Withdrawn after an error was found
Temporarily withdrawn
Has been withdrawn
has been withdrawn by the authors because the sample is too small
Retracted by the authors
Retracted: see the erratum
RETRACTED
Withdrawal of this paper because of an error
12 pages, withdrawn
12 pages (withdrawn)
12 pages, 3 figures. Withdrawn
12 pages, 3 figures; paper withdrawn because of an error in the proof
6 pages. This paper has been withdrawn
v2: withdrawn
v2: paper withdrawn because the result was wrong
Version 2: this paper has been withdrawn
Duplicate submission, withdrawn
Superseded by arXiv:0704.0001; this paper is withdrawn
Replaced by arXiv:0704.0001 and withdrawn
Submitted to ApJ. This paper has been withdrawn by the authors
Due to an error in section 3, this paper has been withdrawn
Because of a wrong flux scale, the authors have withdrawn this paper
A serious error was found and the paper has been withdrawn
Unfortunately, this paper was withdrawn
Error in Eq. (4). The paper has been withdrawn
Comment: withdrawn due to an error
The paper has been withdrawn by the author due to critical errors
This paper has been withdrawn by the authors as it has been superseded by arXiv:0901.1234
Withdrawn by the author due to crucial errors in the interpretation of the data
This paper was submitted by mistake and has been withdrawn
Submitted by mistake, withdrawn
This submission has been withdrawn at the author's request
This article is withdrawn, it contained an error
This paper has been withdrawn because the results are wrong. Sorry!
The article has been withdrawn by the authors, due to a conflict
Our paper has been withdrawn
This preprint has been retracted.
withdrawn (error in main theorem)
Withdrawn, to be replaced by a longer version
Withdrawn; please see arXiv:0901.1234
Withdrawn in order to be rewritten
Paper withdrawn (see comments)
Paper withdrawn - a major error was found
This Letter has been withdrawn
This conference paper is withdrawn
The manuscript is withdrawn by authors' request
this submission has been withdrawn by the author as it was incorrect
paper is withdrawn pending clarification
Paper temporarily withdrawn
Paper was withdrawn by the authors
This paper has since been withdrawn
THE PAPER HAS BEEN WITHDRAWN BY THE AUTHORS
PAPER WITHDRAWN BY AUTHORS DUE TO AN ERROR
WITHDRAWN BY THE AUTHORS
Withdrawn by arXiv administrators: disputed authorship
This submission has been withdrawn by arXiv
arXiv admin note: This version has been removed by arXiv administrators due to copyright
arXiv admin note: author list withdrawn; paper withdrawn
This version has been withdrawn by arXiv administrators because it contains fictitious content
I am withdrawing this paper
The authors have retracted this paper
The authors hereby withdraw their paper
Both authors withdraw this manuscript
The corresponding author withdraws the submission
We, the authors, withdraw this paper
We would like to withdraw this paper
We had to withdraw this paper
Authors withdraw this paper for further work
Authors request withdrawal of this paper
5 pages, 3 figures, this paper has been withdrawn due to a programming error
Has been withdrawn due to a conceptual error
Now withdrawn
now withdrawn due to an error
Paper now withdrawn
Paper has been temporarily withdrawn for revision
Sorry, withdrawn
Please note that this paper has been withdrawn
Note: this paper has been withdrawn
NOTE: Paper withdrawn!!!
Withdrawn. See v1 for the original
Withdrawn 12 May 2003
Withdrawn on May 3
Withdrawn by the authors, May 2003
Withdrawn (May 2003)
Withdrawn for the moment
Withdrawn until the referee's remarks are met
Withdrawn owing to disagreement among authors
Withdrawn under request of coauthors
Withdrawn per the request of the collaboration
Withdrawn with apologies
Withdrawn without prejudice
Withdrawn, superseded by astro-ph/0601001
The work has been withdrawn
This draft has been withdrawn by the collaboration
This paper has been withdrawn by A. Lamp
This paper is to be withdrawn
This paper will be withdrawn
This paper should be considered withdrawn
This paper should be regarded as withdrawn
This paper has been officially retracted
Retracted due to duplication
Retracted (duplicate)
Retraction: this paper contains an error and is retracted
Article retracted
Submission has been withdrawn
The submission has been withdrawn by its author
The e-print has been withdrawn
This eprint was withdrawn
Error found: withdrawn
Wrong analysis => withdrawn
10 pages; WITHDRAWN; see arXiv:0901.1234
This paper has been withdrawn (and will not be resubmitted)
This paper has been withdrawn and will be resubmitted
Withdrawn to fix an error
Withdrawn while we check the data
Withdrawn: superseded
Paper retracted because of plagiarism
This paper has been withdrawn by the editors of arXiv
Withdrawn at the request of the collaboration
This paper has been withdrawn, following the discussion with A. Lamp
This paper has unfortunately been withdrawn
This paper has therefore been withdrawn
This paper has already been withdrawn
This paper has just been withdrawn
The paper has recently been withdrawn
"""

NOT_WITHDRAWN = """
Withdrawn from ApJ and resubmitted to MNRAS
Withdrawn from Science, accepted by ApJ
Withdrawn from MNRAS after a long review
Withdrawn and resubmitted to A&A
Submitted to ApJ, withdrawn, resubmitted to MNRAS
Submitted to PRL but withdrawn
Submission to JCAP withdrawn
Submission withdrawn from JCAP
Paper withdrawn from ApJ for reasons of length
Paper retracted by Nature
Paper retracted from Nature, see the new analysis
This paper was withdrawn from Nature
This paper was withdrawn from the journal and has been rewritten
This paper has been withdrawn from PRL and submitted to JCAP
This article was retracted by the publisher by mistake
This paper has not been withdrawn
This paper was never withdrawn
This paper was almost withdrawn
This paper is a corrected version of the withdrawn arXiv:0704.0001
This paper replaces a withdrawn submission
This paper replaces arXiv:0704.0001, which has been withdrawn
This paper withdraws the claim of arXiv:0704.0001
This paper discusses why arXiv:0704.0001 was withdrawn
This version replaces the withdrawn v2
This letter retracts a result of our first paper
Replaces a withdrawn paper
Replaces arXiv:1001.0001, which has been withdrawn
Replaces withdrawn submission 0704.0001
Replacement of withdrawn version
Supersedes the withdrawn arXiv:0704.0001
Supersedes astro-ph/0601001, now withdrawn
Contains the results of the withdrawn paper hep-ph/0601001
A previous version of this paper was withdrawn
An earlier version was withdrawn
The previous version was withdrawn, this one is corrected
The first version of this paper has been withdrawn
The earlier submission has been withdrawn
The companion paper has been withdrawn
The accompanying letter has been withdrawn
The cited paper has been retracted
The paper by Lamp et al. was retracted
The paper of Lamp and Poe has been withdrawn
The version in Nature has been retracted
Our previous paper has been withdrawn
Our Nature paper was retracted
We withdraw our earlier paper
We retract our claim of a detection
We retract our 2010 paper
We withdraw the discovery of version 5
I withdraw my criticism of this method
The authors have withdrawn their claim
The authors withdrew their paper from ApJ
One of the authors has withdrawn from the collaboration
J. Lamp has withdrawn as an author
The referee has withdrawn
Comment on a retracted paper
Comment on arXiv:0704.0001 (withdrawn)
Comment on Lamp et al. (2009), retracted in 2011
Reply to arXiv:0704.0001 (now withdrawn)
arXiv admin note: text overlap with arXiv:0704.0001 (withdrawn)
arXiv admin note: substantial text overlap with the withdrawn arXiv:0704.0001
arXiv admin note: text overlap with arXiv:0704.0001, withdrawn
Companion of arXiv:0704.0001 (withdrawn by its authors)
See also astro-ph/0601001 (withdrawn)
v1 was withdrawn; this is the corrected v2
v1: withdrawn; v2: corrected and resubmitted
v2 was withdrawn by mistake, v3 restores it
Version 2 was withdrawn by mistake
Was withdrawn by mistake, now restored
Previously withdrawn, now corrected
Temporarily withdrawn in 2009; this is the corrected version
Figure 3 withdrawn
Figure 3 has been withdrawn
Section 4 of this paper has been withdrawn
Part of this work was retracted
The claim made in this paper has been retracted by others
The talk on this work was withdrawn
Table 2 withdrawn because of a wrong calibration
Withdrawn claims of planets are listed in Table 1
Retracted solar panels are modelled
The proposal was withdrawn
The claim of Lamp et al. was retracted
Published version retracted and replaced
Discusses the withdrawal of the instrument
On the retraction of jets
12 pages, 3 figures, to appear in ApJ
Withdrawn from Nature Astronomy
Withdrawn from A&A, to appear in PASP
Withdrawn from the journal; submitted elsewhere
Withdrawn from the proceedings
Withdrawn from publication in Science, now in ApJ
v1 withdrawn due to error; v2 corrects it
v1 and v2 withdrawn. v3 is the corrected version
First version withdrawn
The original version has been withdrawn by the authors
Original submission withdrawn; this is a new analysis
Earlier version withdrawn because of an error which is corrected here
Revised version of withdrawn paper
A revised version of a paper withdrawn in 2005
New version of the paper that was withdrawn
This is the new version of a paper that was withdrawn earlier
This paper supersedes arXiv:0901.1234 (withdrawn)
This paper supersedes arXiv:0901.1234, which is withdrawn
Refers to the withdrawn paper by Lamp
A reply to the paper arXiv:0901.1234, which has now been withdrawn
Comment on arXiv:0901.1234, which was withdrawn after this comment
Comment on a paper that was withdrawn
Comment on "Lamps in the dark", since withdrawn
Rebuttal of arXiv:0901.1234 (now withdrawn)
Not withdrawn
This paper is not withdrawn
This paper has not been retracted
Contrary to rumours this paper has not been withdrawn
Nature retracted the paper by Lamp
The retracted paper of Lamp is reanalysed
We reanalyse the retracted result
The paper discussed here has been withdrawn by its authors
The paper to which we reply has been withdrawn
The result of Lamp (2003) has been retracted
The detection was retracted
This detection has been withdrawn
This object has been withdrawn from the catalogue
This candidate was retracted
This alert has been retracted
The alert S190901 was retracted
GCN circular retracted
The event was retracted by the LVK
S190901ap (retracted)
includes the retracted event S200105
Chapter 3 withdrawn from the thesis
Data set 2 withdrawn
The catalogue has been withdrawn from CDS
The catalogue was withdrawn
The code has been withdrawn
The second author has withdrawn
A. Lamp has withdrawn her name from the author list
A. Lamp withdrew from the project
The telescope was withdrawn
The telescope proposal has been withdrawn
withdrawing gas from a disc
Gas withdrawal
retractable antenna
The arm retracts
Accepted by ApJ after being withdrawn from MNRAS
Withdrawn from MNRAS by the authors, accepted in A&A
The authors withdrew the paper from MNRAS, now accepted in A&A
We withdrew this paper from MNRAS
This manuscript was withdrawn from consideration at ApJ
Paper has been withdrawn from ApJ and submitted to JCAP
Paper withdrawn from submission to ApJ
Paper withdrawn and then accepted by JCAP
Submitted to MNRAS, then withdrawn
Submitted to MNRAS and withdrawn, accepted by A&A
Resubmitted after it was withdrawn
This paper was once withdrawn
The erratum has been withdrawn
Erratum withdrawn
Appendix withdrawn
Title of withdrawn version was different
This paper has been reinstated after having been withdrawn
This paper has been withdrawn in error and is restored
Previously withdrawn because of an error; corrected
Reposted, after arXiv withdrew it
The companion paper (arXiv:0901.1234) has been withdrawn
Paper I has been withdrawn
Paper II withdrawn
Part II of this paper has been withdrawn
The follow-up paper has been withdrawn
The Nature paper has been withdrawn
The preprint astro-ph/0601001 has been withdrawn
The preprint [3] has been withdrawn
The work of Lamp has been withdrawn
Their paper has been withdrawn
Lamp et al. have withdrawn their paper
Lamp and Poe withdrew this claim
We argue that the paper of Lamp should be withdrawn
We ask the authors to withdraw their paper
We call for the paper of Lamp et al. to be retracted
arXiv admin note: text overlap with arXiv:0901.1234, which was withdrawn
arXiv admin note: substantial text overlap with arXiv:0901.1234, arXiv:0901.1235; (withdrawn)
"""


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("comments", lines(WITHDRAWN))
def test_a_paper_whose_comments_withdraw_it_is_withdrawn(comments: str) -> None:
    assert is_withdrawn(comments, "We look at dust.", "On dust")


@pytest.mark.parametrize("comments", lines(NOT_WITHDRAWN))
def test_a_paper_that_speaks_of_another_withdrawal_stays(comments: str) -> None:
    assert not is_withdrawn(comments, "We look at dust.", "On dust")


LONG = " We look at dust in a hundred galaxies and find that it is warm." * 6


@pytest.mark.parametrize(
    "abstract",
    [
        "This paper has been withdrawn by the author due to an error." + LONG,
        "Withdrawn." + LONG,
        "Withdrawn due to an error in equation 3.",
        "The paper has been withdrawn by the authors." + LONG,
        "The author has withdrawn this paper." + LONG,
        LONG + " This paper has been withdrawn since the flux scale was wrong.",
        "An error was found in Sec. 3. The paper is withdrawn.",
        "Paper withdrawn",
        "[Withdrawn] We look at dust.",
        "This article has been retracted by the authors." + LONG,
    ],
)
def test_an_abstract_can_withdraw_its_paper(abstract: str) -> None:
    assert is_withdrawn("", abstract)


@pytest.mark.parametrize(
    "abstract",
    [
        "The instrument has been withdrawn from service after twenty years." + LONG,
        "The lamp failed in 1983. It was withdrawn in 1984." + LONG,
        "The survey had two telescopes. This was withdrawn, that went on." + LONG,
        "Lamp et al. claimed a planet. The paper was retracted. We look again." + LONG,
        "Lamp et al. claimed a planet. The study was later withdrawn by its authors." + LONG,
        "Withdrawn in 1992, the claim of a planet has come back." + LONG,
        "Retracted antennas change the balance of a satellite." + LONG,
        "Withdrawal of gas from a disc stops its star formation." + LONG,
        "We show that this claim has been withdrawn too early." + LONG,
        "We withdraw the catalogue of the last release." + LONG,
        "The report was withdrawn by the union." + LONG,
        "Gas is lifted and withdrawn by the bar." + LONG,
        "Retracted, the arm fits into the shroud." + LONG,
    ],
)
def test_an_abstract_that_speaks_of_withdrawals_keeps_its_paper(abstract: str) -> None:
    assert not is_withdrawn("", abstract)


def test_a_title_can_withdraw_its_paper() -> None:
    for title in (
        "Withdrawn",
        "WITHDRAWN: On dust",
        "[Retracted] On dust",
        "RETRACTED ARTICLE: On",
    ):
        assert is_withdrawn("", "We look at dust.", title)
    for title in (
        "Retracted planets",
        "On a withdrawn claim",
        "Withdrawn: planets that"[:9] + " gas",
    ):
        assert not is_withdrawn("", "We look at dust.", title)


def test_a_long_comment_is_judged_at_once() -> None:
    for part in (
        "withdrawn, ",
        "this paper ",
        "the author has ",
        "(withdrawn ",
        "- ",
        "withdrawn by ",
    ):
        start = time.thread_time()
        is_withdrawn(part * 20_000, part * 20_000, part * 20_000)
        assert time.thread_time() - start < 1


def test_dust_that_was_removed_hides_no_notice() -> None:
    assert not is_withdrawn("Dust was removed by hand", "We look at dust.")
    assert is_withdrawn("Dust was removed. This paper was removed\tby the authors", "")
    assert is_withdrawn("Dust was removed. This paper has been wıthdrawn", "")
