"""What can go wrong in the authorizer and with its devices, as one tree.

    AuthorizerError
      SettingsError         an environment variable is missing, malformed or out of AWS's range
      PolicyError           a policy template, or what it renders to, is not acceptable to us or to AWS
      DeviceError           a client id, user name, topic or password that cannot be registered
      Refused               this login is refused; the text is the reason for the operator's log
      StoreError            the credential store cannot be read or written
        AlreadyRegistered   the client id or the user name is taken
        NotRegistered       there is no such device
        Conflict            the device was changed by somebody else in the meantime

Every text is one line, names the cause (and the next step where there is one), and holds no secret.
"""


class AuthorizerError(Exception):
    """Base of every error that this package raises on purpose."""


class SettingsError(AuthorizerError):
    """An environment variable is missing, malformed or out of range; the text names it."""


class PolicyError(AuthorizerError):
    """A policy template or a rendered policy breaks a rule of ours or a limit of AWS."""


class DeviceError(AuthorizerError):
    """A value that cannot be registered; the text names the value's problem."""


class Refused(AuthorizerError):
    """A login that is not let in; the text says why, for the log and never for the client."""


class StoreError(AuthorizerError):
    """The credential store cannot be read or written."""


class AlreadyRegistered(StoreError):
    """The client id or the user name belongs to a registered device."""


class NotRegistered(StoreError):
    """No device with this client id is registered."""


class Conflict(StoreError):
    """The device was changed in the store after it was read."""
