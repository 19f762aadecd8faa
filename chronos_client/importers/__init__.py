"""Ways in from other schedulers: their files become jobs and findings.

Each source has a module. It reads a text, or objects in the user's own process, and does no
input or output. Nothing is unpickled or executed. Nothing is approximated in silence: a job or a
detail that cannot be said exactly is left out, and a finding names it.
"""
