"""What Uncrib says when it cannot go on."""


class UncribError(Exception):
    """A plain sentence for the user: what is wrong and what to do about it.

    The command line prints the message as one line and exits with status 2;
    library users may catch it around any call into `detector`.
    """
