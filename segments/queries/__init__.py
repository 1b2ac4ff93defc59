"""What is read about segments."""
