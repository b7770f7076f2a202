"""The Socket.IO dialect of the gateway: the frames of ``/stream`` as events, on the same sessions and the same hub."""
