{{/* Names, labels and pieces that several templates share. */}}

{{- define "swr-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "swr-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "swr-operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "swr-operator.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "swr-operator.healthService" -}}
{{- include "swr-operator.fullname" . }}-health
{{- end -}}

{{- define "swr-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "swr-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "swr-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "swr-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "swr-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The operator's pod, and no other pod of the release. */}}
{{- define "swr-operator.podLabels" -}}
{{ include "swr-operator.selectorLabels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of an object: those of the user first, so that ours win. */}}
{{- define "swr-operator.labels" -}}
{{- $ours := include "swr-operator.selectorLabels" .root | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" (.root.Chart.AppVersion | toString) -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "swr-operator" -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $labels := dict -}}
{{- range $map := append (prepend (.more | default list) .root.Values.commonLabels) $ours -}}
{{- $labels = mustMergeOverwrite $labels (deepCopy ($map | default dict)) -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Annotations of an object, rendered as templates; empty if there are none. */}}
{{- define "swr-operator.annotations" -}}
{{- $annotations := dict -}}
{{- range $map := prepend (.more | default list) .root.Values.commonAnnotations -}}
{{- $annotations = mustMergeOverwrite $annotations (deepCopy ($map | default dict)) -}}
{{- end -}}
{{- with $annotations -}}
{{- tpl (toYaml .) $.root -}}
{{- end -}}
{{- end -}}

{{/*
The whole metadata of an object. Takes root, name, and optionally namespace, labels and annotations (lists of maps, the
later win).
*/}}
{{- define "swr-operator.metadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "swr-operator.labels" (dict "root" .root "more" .labels) | nindent 2 }}
{{- with include "swr-operator.annotations" (dict "root" .root "more" .annotations) }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "swr-operator.image" -}}
{{- $image := .Values.image -}}
{{- $registry := default (default "" .Values.global.imageRegistry) $image.registry -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end -}}
{{- $image.repository -}}:{{- default .Chart.AppVersion $image.tag -}}
{{- if $image.digest }}@{{ $image.digest }}{{ end -}}
{{- end -}}

{{- define "swr-operator.imagePullSecrets" -}}
{{- with concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* "true" where the replicas elect the one that works. */}}
{{- define "swr-operator.elects" -}}
{{- $enabled := toString .Values.leaderElection.enabled -}}
{{- if eq $enabled "auto" -}}
{{- gt (int .Values.replicaCount) 1 -}}
{{- else -}}
{{- $enabled -}}
{{- end -}}
{{- end -}}

{{/* Address and port to listen on; IPv6 goes into brackets. */}}
{{- define "swr-operator.address" -}}
{{- if contains ":" .host -}}[{{ .host }}]{{- else -}}{{ .host }}{{- end -}}:{{ .port }}
{{- end -}}

{{/*
Whether to render an object of an optional kind: "true" or nothing. Takes root, value (the part of the values with
enabled and renderMode), path (of that part) and kind (of monitoring.coreos.com/v1).
*/}}
{{- define "swr-operator.renders" -}}
{{- if .value.enabled -}}
{{- $known := .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}
{{- if or $known (eq .value.renderMode "alwaysRender") -}}
true
{{- else if eq .value.renderMode "failIfMissing" -}}
{{- fail (printf "%s.renderMode is failIfMissing, and the cluster does not know the kind %s of monitoring.coreos.com/v1: install the Prometheus operator's CustomResourceDefinitions first." .path .kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The part of an endpoint in both monitors. The rules select by the job, so both name it alike. */}}
{{- define "swr-operator.endpoint" -}}
{{- with .monitor -}}
- port: metrics
  path: /metrics
  honorLabels: {{ .honorLabels }}
  {{- with .interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  relabelings:
    - targetLabel: job
      replacement: {{ include "swr-operator.fullname" $.root }}
    {{- with .relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
