"""AWS IoT policy documents: parsing and evaluation."""
