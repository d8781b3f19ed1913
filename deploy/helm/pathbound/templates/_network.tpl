{{/* Ports, to some peers or to any. */}}
{{- define "pathbound.egress" -}}
- ports:
    {{- range .ports }}
    - protocol: TCP
      port: {{ int . }}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* What a role may reach: name servers, its servers, and what it calls in the web. */}}
{{- define "pathbound.egressOf" -}}
{{- $policy := .root.Values.networkPolicy -}}
- ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
  {{- with $policy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{ include "pathbound.egress" $policy.postgres }}
{{- if ne .role "migrate" }}
{{ include "pathbound.egress" $policy.redis }}
{{- end }}
{{- if has .role (list "api" "worker") }}
{{ include "pathbound.egress" $policy.web }}
{{- end }}
{{- if and .root.Values.config.otlp_endpoint (not (has .role (list "migrate" "test"))) }}
{{ include "pathbound.egress" $policy.collector }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The listed peers, or every pod of the cluster. */}}
{{- define "pathbound.peers" -}}
{{- if . -}}
{{ toYaml . }}
{{- else -}}
- namespaceSelector: {}
{{- end -}}
{{- end -}}
