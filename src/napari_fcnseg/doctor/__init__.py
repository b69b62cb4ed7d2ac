"""Report on devices and frameworks of this computer, and how to install what is missing."""
