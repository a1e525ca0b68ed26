{{- /* The image, by its digest where there is one. */ -}}
{{- define "code-racer.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag }}{{ end -}}
{{- end -}}

{{- /* The files that are asked for, one a line. */ -}}
{{- define "code-racer.files" -}}
base/serviceaccount.yaml
base/deployment.yaml
base/service.yaml
base/networkpolicy.yaml
production/poddisruptionbudget.yaml
production/horizontalpodautoscaler.yaml
production/nats.yaml
{{- if .Values.canary }}
production/canary.yaml
{{- end }}
{{- if .Values.monitoring }}
monitoring/servicemonitor.yaml
monitoring/prometheus-rule.yaml
monitoring/dashboards.yaml
{{- end }}
{{- if eq .Values.wayIn "ingress" }}
overlays/production-ingress/ingress.yaml
overlays/production-ingress/door.yaml
{{- else }}
overlays/production/gateway.yaml
overlays/production/door.yaml
{{- end }}
{{- if eq .Values.wayIn "envoy" }}
overlays/production-envoy/policies.yaml
overlays/production-envoy/proxy.yaml
{{- end }}
{{- end -}}

{{- /* The settings as YAML: of the base, of production, of the values. */ -}}
{{- define "code-racer.settings" -}}
{{- $settings := dict -}}
{{- range list "base/settings.env" "production/settings.env" -}}
{{- range regexFindAll "(?m)^[A-Z0-9_]+=.*$" ($.Files.Get .) -1 -}}
{{- $pair := splitn "=" 2 . -}}
{{- $_ := set $settings $pair._0 $pair._1 -}}
{{- end -}}
{{- end -}}
{{- $_ := set $settings "PUBLIC_URL" (printf "https://%s" .Values.host) -}}
{{- $_ := set $settings "FRONTEND_URL" .Values.frontend -}}
{{- $_ := set $settings "TRUSTED_PROXIES" .Values.trustedProxies -}}
{{- range $name, $value := .Values.settings -}}
{{- $_ := set $settings $name (toString $value) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{- /* One manifest with the values in it; `document` is changed in place. */ -}}
{{- define "code-racer.fit" -}}
{{- $values := .root.Values -}}
{{- $document := .document -}}
{{- $spec := $document.spec -}}
{{- $name := $document.metadata.name -}}
{{- if eq $document.kind "Deployment" -}}
{{- range $spec.template.spec.containers -}}
{{- $_ := set . "image" (include "code-racer.image" $.root) -}}
{{- $_ := set . "imagePullPolicy" $values.image.pullPolicy -}}
{{- end -}}
{{- if eq $name "code-racer" -}}
{{- $_ := set (first $spec.template.spec.containers) "resources" $values.resources -}}
{{- $_ := set $spec.template.metadata "annotations" (dict "checksum/settings" (include "code-racer.settings" .root | sha256sum)) -}}
{{- end -}}
{{- else if eq $document.kind "HorizontalPodAutoscaler" -}}
{{- $_ := set $spec "minReplicas" $values.replicas.min -}}
{{- $_ := set $spec "maxReplicas" $values.replicas.max -}}
{{- else if eq $document.kind "Gateway" -}}
{{- $_ := set $spec "gatewayClassName" $values.gatewayClass -}}
{{- range $spec.listeners -}}
{{- if .tls }}{{ $_ := set (first .tls.certificateRefs) "name" $values.tlsSecret }}{{ end -}}
{{- end -}}
{{- if eq $values.wayIn "envoy" -}}
{{- $_ := mustMergeOverwrite $document (.root.Files.Get "overlays/production-envoy/gateway.yaml" | fromYaml) -}}
{{- end -}}
{{- else if eq $document.kind "Ingress" -}}
{{- $_ := set $spec "ingressClassName" $values.ingressClass -}}
{{- $_ := set (first $spec.tls) "secretName" $values.tlsSecret -}}
{{- else if and (eq $name "code-racer-door") $values.door -}}
{{- $labels := (first (first $spec.ingress).from).namespaceSelector.matchLabels -}}
{{- $_ := set $labels "kubernetes.io/metadata.name" $values.door -}}
{{- end -}}
{{- end -}}
