"""A package, so that its fixtures of that scope end before the tests of other folders."""
