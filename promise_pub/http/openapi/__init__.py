"""The description of an API, made of the router and of what each room says of its requests."""
