"""`python -m loadtest`: the same as `livecommerce loadtest`."""

from loadtest.commands import main

if __name__ == "__main__":
    main(prog_name="python -m loadtest")
