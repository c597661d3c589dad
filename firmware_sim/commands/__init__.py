"""The commands of `edged-sim`, one file each."""
