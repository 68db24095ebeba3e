"""The authorizer Lambda: who is this device, and what may it do?"""
