"""What should be: the CMDB."""
