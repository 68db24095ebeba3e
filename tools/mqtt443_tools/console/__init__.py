"""The live console: a web page on this machine that shows devices, messages and refusals, and changes devices."""
