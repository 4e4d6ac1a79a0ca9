"""What differs between two machine disks, read from outside: no mount, no help from the guest."""
