// xdelta3's header has no extern "C" of its own.
#pragma once

#include <cstdint>
#include <cstdlib>

extern "C" {
#include <xdelta3.h>
}
