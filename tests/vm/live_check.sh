#!/usr/bin/env bash
# Two units of a stock kernel are compared with the running one, in the states into which it brings its own code.
exec "$(dirname "$0")/../whole/live" --quick
