"""What long work says while it goes on: lines, progress, and a question that costs money."""


class Reporter:
    """Takes what long work has to say; one for a whole job. This one drops all of it.

    A front end derives its own: the command line's is `astrosearch.cli.console.Terminal`.
    """

    def notify(self, line: str) -> None:
        """A line for the user: what is fetched, what is left out, what happens instead."""

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        """How far a task is, from 0 to `total`, which ends it.

        Args:
            task: what is being done, in the words shown to the user; `Encoding papers`.
            detail: figures of the work itself, as its loss or its tokens per second.
        """

    def confirm(self, cost: object) -> bool:
        """Whether something that costs money may be done; without anybody to ask, it may not.

        Args:
            cost: what is to be spent, readable as a text.
        """
        return False

    def may_contact(self, service: str, request: str) -> bool:
        """Whether something may leave this machine for a model. Here it may: the caller named the
        model. Where an index did, see `astrosearch.encoders.consent`.

        Args:
            service: which model where, as it is kept of an answer.
            request: what is sent, and where, readable as a text.
        """
        return True


SILENT = Reporter()
