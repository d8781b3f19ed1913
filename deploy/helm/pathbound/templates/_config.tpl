{{/* The configuration as TOML. JSON writes strings and numbers as TOML does, and large numbers in full. */}}
{{- define "pathbound.toml" -}}
listen = {{ printf "%s:8080" .Values.listenAddress | toJson }}
ops_listen = {{ printf "%s:8081" .Values.listenAddress | toJson }}
{{- range $option, $value := .Values.config }}
{{- if not (kindIs "invalid" $value) }}
{{ $option }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The options that a role reads from a Secret, so that a worker's pod holds no key of the API's. */}}
{{- define "pathbound.secretOptions" -}}
{{- $servers := list "database_url" "redis_url" -}}
{{- $ops := list "operator_key" "viewer_key" -}}
{{- $api := list "service_key" "encryption_keys" "intercom_client_secret" "proxy" -}}
{{- $roles := dict "api" (concat $servers $ops $api) "scheduler" (concat $servers $ops) -}}
{{- $_ := set $roles "worker" (concat $servers $ops (list "encryption_keys" "proxy")) -}}
{{- $_ := set $roles "migrate" (list "database_url" "migrate_url") -}}
{{- $used := list -}}
{{- range get $roles .role -}}
{{- if kindIs "map" (get $.root.Values.secrets.options .) }}{{ $used = append $used . }}{{ end -}}
{{- end -}}
{{- toJson $used -}}
{{- end -}}

{{/* The volumes of a role: its configuration and its secrets, each as a directory, so that a change arrives in it. */}}
{{- define "pathbound.volumes" -}}
- name: config
  configMap:
    name: {{ .configMap }}
- name: secrets
  projected:
    # 0440: the group of the pod reads them.
    defaultMode: 288
    sources:
      {{- range $option := include "pathbound.secretOptions" . | fromJsonArray }}
      {{- $from := get $.root.Values.secrets.options $option }}
      - secret:
          name: {{ default $.root.Values.secrets.secret $from.secret }}
          items:
            - key: {{ default $option $from.key }}
              path: {{ $option }}
      {{- end }}
      {{- range $name, $from := .root.Values.secrets.files }}
      - secret:
          name: {{ $from.secret }}
          items:
            - key: {{ $from.key }}
              path: {{ $name }}
      {{- end }}
{{- end -}}

{{- define "pathbound.volumeMounts" -}}
- name: config
  mountPath: /etc/pathbound/config
  readOnly: true
- name: secrets
  mountPath: /etc/pathbound/secrets
  readOnly: true
{{- end -}}

{{/* The variables of a role, each once, in the order of the alphabet. */}}
{{- define "pathbound.env" -}}
{{- $env := dict -}}
{{- range $name, $value := .env }}{{ $_ := set $env $name (toString $value) }}{{ end -}}
{{- $_ := set $env "PATHBOUND_CONFIG" "/etc/pathbound/config/pathbound.toml" -}}
{{- range include "pathbound.secretOptions" . | fromJsonArray -}}
{{- $_ := set $env (printf "PATHBOUND_%s_FILE" (upper .)) (printf "/etc/pathbound/secrets/%s" .) -}}
{{- end -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
