// Builds a folder as `kubectl kustomize` does, checks every object in it as the API server of
// Kubernetes does, and prints them. Objects of other APIs (operators) are printed unchecked.
package main

import (
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	security "k8s.io/pod-security-admission/api"
	securitypolicy "k8s.io/pod-security-admission/policy"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// evaluator knows the Pod Security Standards.
var evaluator = must(securitypolicy.NewEvaluator(securitypolicy.DefaultChecks(), nil))

// decoder refuses members that Kubernetes does not know, and fills in its defaults.
var decoder = serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder()

func main() {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), os.Args[1])
	if err != nil {
		fail(err)
	}
	isWrong := false
	for _, resource := range built.Resources() {
		text, err := resource.MarshalJSON()
		if err != nil {
			fail(err)
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			continue
		}
		var problem error
		if err != nil {
			problem = err
		} else {
			problem = problems(object).ToAggregate()
		}
		if problem != nil {
			isWrong = true
			fmt.Fprintf(os.Stderr, "%s %s: %s\n", resource.GetKind(), resource.GetName(), problem)
		}
	}
	printed, err := built.AsYaml()
	if err != nil {
		fail(err)
	}
	fmt.Print(string(printed))
	if isWrong {
		os.Exit(1)
	}
}

// problems are what the API server would refuse *object* for.
func problems(object runtime.Object) field.ErrorList {
	if it, err := meta.Accessor(object); err == nil && it.GetNamespace() == "" {
		if _, isNamespace := object.(*core.Namespace); !isNamespace {
			it.SetNamespace("default")
		}
	}
	switch it := object.(type) {
	case *core.Namespace:
		return corevalidation.ValidateNamespace(it)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(it)
	case *core.Secret:
		return corevalidation.ValidateSecret(it)
	case *core.Service:
		return corevalidation.ValidateServiceCreate(it)
	case *apps.Deployment:
		return append(
			appsvalidation.ValidateDeployment(it, pod.GetValidationOptionsFromPodTemplate(&it.Spec.Template, nil)),
			exposures(it.Spec.Template)...,
		)
	case *batch.Job:
		// The server makes the selector.
		it.Spec.ManualSelector = ptr.To(true)
		it.Spec.Selector = &metav1.LabelSelector{MatchLabels: it.Spec.Template.Labels}
		return append(batchvalidation.ValidateJob(it, batchvalidation.JobValidationOptions{}), exposures(it.Spec.Template)...)
	case *autoscaling.HorizontalPodAutoscaler:
		return autoscalingvalidation.ValidateHorizontalPodAutoscaler(
			it, autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{MinReplicasLowerBound: 1},
		)
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(it, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(it, networkingvalidation.NetworkPolicyValidationOptions{})
	case *networking.Ingress:
		return networkingvalidation.ValidateIngressCreate(it)
	}
	return field.ErrorList{field.Invalid(field.NewPath("kind"), fmt.Sprintf("%T", object), "is not checked here: add it")}
}

// exposures are what the Pod Security Standard "restricted" forbids of a pod made from *template*.
func exposures(template core.PodTemplateSpec) (found field.ErrorList) {
	var as v1.PodTemplateSpec
	if err := legacyscheme.Scheme.Convert(&template, &as, nil); err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	standard := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(standard, &as.ObjectMeta, &as.Spec) {
		if !result.Allowed {
			found = append(found, field.Forbidden(field.NewPath("spec"), result.ForbiddenReason+" "+result.ForbiddenDetail))
		}
	}
	return found
}

func must[T any](it T, err error) T {
	if err != nil {
		fail(err)
	}
	return it
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
