"""Tailrace: carries telemetry away from an AWS Lambda function, and runs Lambda locally to prove it.

Importing the package imports nothing else: the agent starts on somebody's cold start.
"""
