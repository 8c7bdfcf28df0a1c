"""Tells twistd of sos."""

from twisted.application.service import ServiceMaker

sos = ServiceMaker("sos", "sos.service", "Simple Object Storage: blob servers, api servers, or both in one.", "sos")
