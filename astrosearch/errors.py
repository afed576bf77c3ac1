"""What can go wrong through no fault of the code, as one tree.

    AstrosearchError                exit 1   failed
    ├── InputError                  exit 2   what the user gave cannot be used
    │   ├── IdentifierError                  not an arXiv identifier
    │   ├── RecordError                      a record that is not a paper (carries the reason)
    │   └── CorpusError                      a file that is not a corpus
    ├── SetupError                  exit 3   something has to be set up first
    │   ├── IndexMissing                     no index of this name
    │   └── ModelMissing                     no weights on this machine, and none to be had
    ├── NothingFound                exit 4   the question was fine, the answer is empty
    ├── IndexDamaged                exit 1   an index folder disagrees with its manifest
    ├── IndexBusy                   exit 1   another build holds the index
    └── EncoderMismatch             exit 1   vectors of two encoders cannot be compared

The command line catches `AstrosearchError` in one place (`astrosearch.cli`) and
prints its message as one line, with the command or option that is its remedy.
Any other exception is a bug and keeps its traceback.
"""

from typing import Literal

Remedy = Literal[
    "",
    "build",
    "build-again",
    "fewer-sentences",
    "fewer-tokens",
    "import-citations",
    "less-memory",
    "list-models",
    "map",
    "map-again",
    "smaller-batches",
    "tune",
    "ungrounded",
]
"""What mends it. A front end says it in its own words: the command line names the command."""


class AstrosearchError(Exception):
    """Base of every error that is reported as a line rather than a traceback.

    Attributes:
        remedy: what mends it; empty if the message says all there is to say.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, remedy: Remedy = "") -> None:
        super().__init__(message)
        self.remedy: Remedy = remedy


class InputError(AstrosearchError):
    """The user's input cannot be used as it is."""

    exit_code = 2


class IdentifierError(InputError):
    """A text that is not an arXiv identifier."""


class RecordError(InputError):
    """A record that cannot become a `Paper`.

    Attributes:
        reason: the word it is counted under, as `broken JSON` or `withdrawn`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class CorpusError(InputError):
    """A file that is not the corpus it claims to be."""


class SetupError(AstrosearchError):
    """Something the command needs is not set up on this machine."""

    exit_code = 3


class IndexMissing(SetupError):
    """There is no index of the name asked for."""


class ModelMissing(SetupError):
    """A model's weights are not on this machine and could not be fetched."""


class NothingFound(AstrosearchError):
    """No paper answers the request."""

    exit_code = 4


class IndexDamaged(AstrosearchError):
    """An index folder does not hold what its manifest says."""


class IndexBusy(AstrosearchError):
    """Another process is building this index."""


class EncoderMismatch(AstrosearchError):
    """An encoder's vectors do not belong to the index they are compared with."""
