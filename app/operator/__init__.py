"""The operator's commands: they see, ask and act on a running service, through its operators' API."""
