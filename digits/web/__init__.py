"""The web server: pages, their JSON twins and server-sent events over the functions of `digits.service`."""
