"""The errors of the authorizer and its devices, as one tree.

    AuthorizerError
      SettingsError         an environment variable is missing, malformed or out of AWS's range
      PolicyError           a policy template or a rendered policy breaks a rule of ours or a limit of AWS
      DeviceError           a client id, user name, topic or password is not valid
      Refused               this login is refused; the text is for the operator's log
      StoreError            the credential store cannot be read or written
        AlreadyRegistered   the client id or the user name is in use
        NotRegistered       no device has this client id
        Conflict            another command changed the device

Every text is one line, names the cause and, if there is one, the next step, and contains no secret.
"""


class AuthorizerError(Exception):
    """Base class of this package's errors."""


class SettingsError(AuthorizerError):
    """An environment variable is missing, malformed or out of range; the text names it."""


class PolicyError(AuthorizerError):
    """A policy template or a rendered policy breaks a rule of ours or a limit of AWS."""


class DeviceError(AuthorizerError):
    """A value cannot be registered; the text says why."""


class Refused(AuthorizerError):
    """A login is refused; the text says why, for the log and never for the client."""


class StoreError(AuthorizerError):
    """The credential store cannot be read or written."""


class AlreadyRegistered(StoreError):
    """The client id or the user name belongs to a registered device."""


class NotRegistered(StoreError):
    """No device with this client id is registered."""


class Conflict(StoreError):
    """The device was changed in the store after it was read."""
