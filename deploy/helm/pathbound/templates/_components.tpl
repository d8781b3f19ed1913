{{/* What one component has: the defaults, and what it says itself. */}}
{{- define "pathbound.component" -}}
{{- $component := dict "name" .name "role" .role -}}
{{- range $key, $value := .root.Values.defaults }}{{ $_ := set $component $key $value }}{{ end -}}
{{- range $key, $value := .values }}{{ $_ := set $component $key $value }}{{ end -}}
{{- $_ := set $component "fullname" (printf "%s-%s" (include "pathbound.fullname" .root) .name) -}}
{{- toJson $component -}}
{{- end -}}

{{/* Every component that runs for long, as a JSON list: the API, the scheduler, and a pool of workers each. */}}
{{- define "pathbound.components" -}}
{{- $list := list -}}
{{- $list = append $list (include "pathbound.component" (dict "root" . "name" "api" "role" "api" "values" .Values.api) | fromJson) -}}
{{- $list = append $list (include "pathbound.component" (dict "root" . "name" "scheduler" "role" "scheduler" "values" .Values.scheduler) | fromJson) -}}
{{- range $name, $values := .Values.workers -}}
{{- if $values -}}
{{- $arguments := dict "root" $ "name" (printf "worker-%s" $name) "role" "worker" "values" $values -}}
{{- $list = append $list (include "pathbound.component" $arguments | fromJson) -}}
{{- end -}}
{{- end -}}
{{- toJson $list -}}
{{- end -}}

{{/* Whether a budget makes sense: yes, or nothing. One replica is drained without it. */}}
{{- define "pathbound.isShared" -}}
{{- if eq .scaling.mode "fixed" -}}
{{- if gt (int .scaling.replicas) 1 }}yes{{ end -}}
{{- else if eq .scaling.mode "external" -}}
yes
{{- else if gt (int .scaling.max) 1 -}}
yes
{{- end -}}
{{- end -}}

{{- define "pathbound.componentSelector" -}}
{{ include "pathbound.selector" .root }}
app.kubernetes.io/component: {{ .component.name }}
{{- end -}}

{{- define "pathbound.componentLabels" -}}
{{ include "pathbound.labels" .root }}
app.kubernetes.io/component: {{ .component.name }}
{{- end -}}

{{/* The name of a class of the release. It has the namespace, because classes belong to the cluster, and the value, because
that of a class cannot be changed. */}}
{{- define "pathbound.className" -}}
{{- $value := int (get .root.Values.priorityClasses .priority) -}}
{{ .root.Release.Namespace }}-{{ include "pathbound.fullname" .root }}-{{ .priority }}-{{ $value | toString | replace "-" "minus" }}
{{- end -}}

{{/* The class of a component's pods, or nothing. */}}
{{- define "pathbound.priorityClass" -}}
{{- if .component.priorityClassName -}}
{{ .component.priorityClassName }}
{{- else if and .root.Values.priorityClasses.create .component.priority -}}
{{ include "pathbound.className" (dict "root" .root "priority" .component.priority) }}
{{- end -}}
{{- end -}}
