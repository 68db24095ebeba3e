"""`mqtt443 device`: registers devices and changes them."""
