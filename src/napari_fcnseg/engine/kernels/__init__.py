"""Convolutions with less arithmetic than the definition asks for, and the choice among them by measurement."""
