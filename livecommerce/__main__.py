"""`python -m livecommerce` is the command `livecommerce`."""

from livecommerce.cli import main

main()
