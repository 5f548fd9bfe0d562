# Run by tests/vm/debian_hooks.sh, which gives must, is, and points_to.
modprobe hid-magicmouse
must points_to magicmouse_driver magicmouse_probe
must ksplice-apply ksplice-mouse.tar.gz
must points_to magicmouse_driver magicmouse_reset_resume
must ksplice-undo mouse
must points_to magicmouse_driver magicmouse_probe
must not points_to magicmouse_driver magicmouse_reset_resume
must rmmod hid-magicmouse
