"""AWS in one command: deploy the authorizer, see how it is, take it away again.

command.py is the thin shell; deploy.py, status.py and destroy.py are what it does; stacks.py, authorizer.py, modes.py
and domain.py each know one part of AWS, and all of them reach AWS through aws.py. The templates
are mqtt443_authorizer/*.yaml.
"""
