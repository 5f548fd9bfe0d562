# Prints what a folder of the kernel's source contributes to this configuration, as kbuild would evaluate
# it: "U TARGET OBJECT" per unit, "D FOLDER" per subfolder. Run in the build folder:
#   make -s -f list.mk SRC=SOURCE DIR=net/ipv4 nothing
include include/config/auto.conf
srctree := $(SRC)
objtree := .
src := $(DIR)
obj := $(DIR)
srcroot := $(SRC)
SRCARCH := x86
ARCH := x86
BITS := 64
export
-include $(SRC)/scripts/Kbuild.include
obj-y :=
obj-m :=
lib-y :=
include $(firstword $(wildcard $(SRC)/$(DIR)/Kbuild $(SRC)/$(DIR)/Makefile))
parts = $(or $(strip $($(1:.o=-objs)) $($(1:.o=-y))),$(1))
partsm = $(or $(strip $($(1:.o=-objs)) $($(1:.o=-y)) $($(1:.o=-m))),$(1))
$(foreach o,$(filter-out %/,$(obj-y) $(lib-y)),$(foreach p,$(call parts,$(o)),$(info U vmlinux $(DIR)/$(p))))
$(foreach o,$(filter-out %/,$(obj-m)),$(foreach p,$(call partsm,$(o)),$(info U $(notdir $(o:.o=)) $(DIR)/$(p))))
$(foreach d,$(filter %/,$(obj-y) $(obj-m) $(libs-y)),$(info D $(d)))
.PHONY: nothing
nothing: ;@:
