{{/* When an object of the migration is made: before everything else. The weights put its account and its configuration
before the Job. Helm removes none of them with the release, so all but the Job go when they have served. */}}
{{- define "pathbound.migrateAnnotations" -}}
{{- if eq .root.Values.migrate.mode "hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation{{ if not .isJob }},hook-succeeded{{ end }}
{{- else -}}
argocd.argoproj.io/hook: PreSync
argocd.argoproj.io/sync-wave: {{ .weight | quote }}
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
{{- end -}}
{{- end -}}

{{- define "pathbound.migrateMetadata" -}}
name: {{ include "pathbound.fullname" .root }}-migrate
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "pathbound.labels" .root | nindent 2 }}
  app.kubernetes.io/component: migrate
annotations:
  {{- include "pathbound.migrateAnnotations" . | nindent 2 }}
  {{- with .annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
