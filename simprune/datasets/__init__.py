"""Data that ship with the package, and the script that made them."""
