#!/usr/bin/env bash
# Thousands of functions of each kernel that is known, built in and of modules, are compared with the running one in
# the states into which it brings its own code: on the kernels that SERIES names, or on all.
for series in ${SERIES:-6.1 6.12 6.12+deb13 7.3+deb13}; do
  "$(dirname "$0")/../whole/live" --series "$series" || exit
done
