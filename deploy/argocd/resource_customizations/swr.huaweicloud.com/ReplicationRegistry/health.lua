-- A ReplicationRegistry follows kstatus: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
-- Only the libraries base and table are used: Argo CD gives a script in argocd-cm no others.
local hs = { status = "Progressing", message = "Waiting for the operator to observe the object" }
if obj.spec ~= nil and obj.spec.suspend == true then
  hs.status = "Suspended"
  hs.message = "Reconciliation is suspended (spec.suspend)"
  return hs
end
if obj.status == nil then
  return hs
end
local observed = obj.status.observedGeneration
if observed == nil or (obj.metadata.generation ~= nil and observed ~= obj.metadata.generation) then
  hs.message = "Waiting for the latest spec to be observed"
  return hs
end
local by = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  by[condition.type] = condition
end
local function text(condition)
  if condition.message ~= nil and condition.message ~= "" then
    return condition.reason .. ": " .. condition.message
  end
  return condition.reason or ""
end
if by.Stalled ~= nil and by.Stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = text(by.Stalled)
  return hs
end
if by.Reconciling ~= nil and by.Reconciling.status == "True" then
  hs.message = text(by.Reconciling)
  return hs
end
if by.Ready ~= nil then
  hs.message = text(by.Ready)
  if by.Ready.status == "True" then
    hs.status = "Healthy"
  elseif by.Ready.status == "False" then
    hs.status = "Degraded"
  end
end
return hs
