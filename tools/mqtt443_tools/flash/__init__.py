"""`mqtt443 flash`: puts a MicroPython image on a board over USB.

flash_command.py is what a person types. Below it, ports.py finds and opens the port, loader.py talks to the chip
through esptool (which only esplog.py imports), image.py and partitions.py read what will be written, contents.py looks
for files on the board, image_sources.py and download.py get images.
"""
