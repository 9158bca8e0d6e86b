//! Schema, value, event block; protobuf and CSV codecs; topic names and dfESP URLs.
