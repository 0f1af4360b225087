"""The demonstration: a stand-in for the Messages API, a small agent, and five ways out that do not work."""
