"""``python -m drcloud``: the same as the ``drcloud`` command."""

from drcloud.cli.main import main

main()
