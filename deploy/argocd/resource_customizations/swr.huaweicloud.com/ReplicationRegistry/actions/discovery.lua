local suspended = obj.spec ~= nil and obj.spec.suspend == true
local actions = {}
-- A suspended object is not looked at, whoever asks.
actions["reconcile"] = { ["disabled"] = suspended }
actions["suspend"] = { ["disabled"] = suspended }
actions["resume"] = { ["disabled"] = not suspended }
return actions
