"""Benchmarks, run by hand, each against a peer in the same run: python -m tests.benchmarks.NAME"""
