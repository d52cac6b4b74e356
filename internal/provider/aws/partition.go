package aws

import (
	"regexp"
	"slices"
	"strings"
)

// partition is one of the separate clouds of AWS. Source: partitions.json of the AWS SDKs.
type partition struct {
	id            string
	suffix        string // of the DNS names of its services
	geographies   string // what its regions' names begin with, separated by spaces
	defaultRegion string // where its global STS endpoint signs
}

func partitions() []partition {
	return []partition{
		{"aws", "amazonaws.com", "us eu ap sa ca me af il mx", "us-east-1"},
		{"aws-cn", "amazonaws.com.cn", "cn", "cn-northwest-1"},
		{"aws-us-gov", "amazonaws.com", "us-gov", "us-gov-west-1"},
		{"aws-eusc", "amazonaws.eu", "eusc-de", "eusc-de-east-1"},
		{"aws-iso", "c2s.ic.gov", "us-iso", "us-iso-east-1"},
		{"aws-iso-b", "sc2s.sgov.gov", "us-isob", "us-isob-east-1"},
		{"aws-iso-e", "cloud.adc-e.uk", "eu-isoe", "eu-isoe-west-1"},
		{"aws-iso-f", "csp.hci.ic.gov", "us-isof", "us-isof-south-1"},
	}
}

// regionShape is geography, direction, number. It is narrower than the SDK's patterns and always a safe DNS label.
var regionShape = regexp.MustCompile(`^([a-z]{2,4}(?:-(?:gov|iso[a-z]?|de))?)-[a-z]{1,20}-[0-9]{1,2}$`)

// PartitionOfRegion returns the partition that a region belongs to, such as aws or aws-us-gov; false if no partition has regions of
// that form.
func PartitionOfRegion(region string) (string, bool) {
	found, ok := lookupRegion(region)
	return found.id, ok
}

// ValidRegion reports whether region has the form of a region of some partition. Only such regions ever become part of a host name.
func ValidRegion(region string) bool {
	_, ok := lookupRegion(region)
	return ok
}

// PartitionOfARN returns the partition that an ARN names; false if it is not one of those known.
func PartitionOfARN(arn string) (string, bool) {
	fields := strings.SplitN(arn, ":", 3)
	if len(fields) != 3 || fields[0] != "arn" {
		return "", false
	}
	_, ok := lookupPartition(fields[1])
	return fields[1], ok
}

// DefaultRegion returns the region to ask when none was given, for a partition: us-east-1 for aws. It is empty for an unknown one.
func DefaultRegion(partitionID string) string {
	found, _ := lookupPartition(partitionID)
	return found.defaultRegion
}

func lookupRegion(region string) (partition, bool) {
	fields := regionShape.FindStringSubmatch(region)
	if fields == nil {
		return partition{}, false
	}
	for _, p := range partitions() {
		if slices.Contains(strings.Fields(p.geographies), fields[1]) {
			return p, true
		}
	}
	return partition{}, false
}

func lookupPartition(id string) (partition, bool) {
	for _, p := range partitions() {
		if p.id == id {
			return p, true
		}
	}
	return partition{}, false
}
