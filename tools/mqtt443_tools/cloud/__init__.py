"""Deploys the authorizer to AWS, shows its state, deletes it again.

cloud_command.py is the thin shell over deploy.py, status.py and destroy.py; stacks.py, iot_authorizer.py, modes.py and
domain.py each know one part of AWS, and all of them call it through aws.py. The templates are in mqtt443_authorizer.
"""
