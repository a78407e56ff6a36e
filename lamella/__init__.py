"""Lamella: from a trained convolutional network to verified firmware for a microcontroller."""

__version__ = "0.1.0"
