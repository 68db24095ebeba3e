"""The authorizer Lambda: identifies a device and returns its policy."""
