"""Recipes that train recognition and interpretation models on what the graph generates.

This package imports ``guqin_kg`` and is never imported by it at load time.
"""
