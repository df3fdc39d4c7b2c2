package main

// provider is one cloud as the sample knows it.
type provider struct {
	name, issuer string
	// weight is its share of the lines, in percent.
	weight uint64
	// empty: it writes the empty string where others write NULL.
	empty bool
	// region and regionName go together.
	regions [][2]string
	// billing is its billing account.
	billing, billingName string
	services             []service
}

type service struct {
	name, category string
	// resource is the ResourceType, and what the ids of resources begin with.
	resource string
	skus     []sku
}

// sku is something that has a price.
type sku struct {
	description, unit string
	// price per unit in 10^-10 of the currency.
	price uint64
	// amount tells how the quantity is drawn.
	amount amount
}

// amount is a kind of quantity.
type amount int

const (
	fraction amount = iota // below one, 15 decimals: load balancer units, GB-months of an hour
	trace                  // below a millionth, 15 decimals: what rounds to a cost of zero
	volume                 // up to 64, 15 decimals: transferred data
	count                  // whole, up to some thousands: requests
	one                    // exactly one: an hour of a machine
	huge                   // whole, up to some millions: tokens, metrics
)

var providers = []provider{
	{
		name: "AWS", issuer: "Amazon Web Services, Inc.", weight: 58, billing: "704400112233", billingName: "Northwind Cooperative",
		regions: [][2]string{{"us-east-1", "US East (N. Virginia)"}, {"us-west-2", "US West (Oregon)"}, {"eu-central-1", "EU (Frankfurt)"}, {"eu-central-2", "Europe (Zurich)"}, {"ap-south-1", "Asia Pacific (Mumbai)"}, {"us-east-1", "External"}},
		services: []service{
			{"Amazon Elastic Compute Cloud", "Compute", "instance", []sku{
				{"$0.0416 per On Demand Linux t3.medium Instance Hour", "Hours", 416_000_000, one},
				{"$0.085 per GB - next 40 TB / month data transfer out", "GB", 850_000_000, volume},
				{"$0.000 per GB - data transfer in per month", "GB", 0, volume},
				{"$0.010 per GB - regional data transfer - in/out/between zones", "GB", 100_000_000, fraction},
				{"$0.08 per GB-month of General Purpose (gp3) provisioned storage", "GB-Months", 800_000_000, fraction},
				{"$0.005 per Elastic IP address not attached to a running instance per hour", "IdleAddress-Hours", 50_000_000, one},
			}},
			{"Amazon Simple Storage Service", "Storage", "bucket", []sku{
				{"$0.023 per GB - first 50 TB / month of storage used", "GB-Months", 230_000_000, trace},
				{"$0.005 per 1,000 PUT, COPY, POST, or LIST requests", "Requests", 50_000, count},
				{"$0.004 per 10,000 GET and all other requests", "Requests", 4_000, count},
			}},
			{"Elastic Load Balancing", "Networking", "loadbalancer", []sku{
				{"$0.008 per used Application load balancer capacity unit-hour (or partial hour)", "LCU-Hours", 80_000_000, fraction},
				{"$0.0225 per Application LoadBalancer-hour (or partial hour)", "LoadBalancer-Hours", 225_000_000, one},
			}},
			{"Amazon Virtual Private Cloud", "Networking", "natgateway", []sku{
				{"$0.045 per NAT Gateway Hour", "NatGateway-Hours", 450_000_000, one},
				{"$0.005 per In-use public IPv4 address per hour", "Address-Hours", 50_000_000, one},
			}},
			{"AmazonCloudWatch", "Management and Governance", "log-group", []sku{
				{"$0.50 per GB custom log data ingested in Standard log class", "GB", 5_000_000_000, trace},
				{"$0.30 per metric-month for the first 10,000 metrics", "Metrics", 3_000_000_000, trace},
				{"$0.10 per alarm metric month (standard resolution)", "Alarms", 1_000_000_000, fraction},
			}},
			{"AWS Key Management Service", "Security", "key", []sku{
				{"$0.03 per 10,000 requests", "Requests", 30_000, count},
				{"$1 per customer managed KMS key version", "Keys", 10_000_000_000, fraction},
			}},
			{"AWS Lambda", "Compute", "function", []sku{
				{"$0.0000166667 for every GB-second", "Lambda-GB-Second", 166_667, volume},
				{"$0.20 per 1 million requests", "Invocations", 2_000, count},
			}},
			{"Amazon Relational Database Service", "Databases", "db", []sku{
				{"$0.073 per db.t4g.medium Single-AZ instance hour running PostgreSQL", "DB-Hours", 730_000_000, one},
				{"$0.115 per GB-month of provisioned gp3 storage", "GB-Mo", 1_150_000_000, fraction},
			}},
			{"Amazon DynamoDB", "Databases", "table", []sku{
				{"$0.25 per million read request units", "ReadRequestUnits", 2_500, huge},
				{"$1.25 per million write request units", "WriteRequestUnits", 12_500, count},
			}},
			{"Amazon Simple Queue Service", "Integration", "queue", []sku{
				{"$0.40 per million standard requests in Tier1", "Requests", 4_000, count},
			}},
			{"Amazon Route 53", "Networking", "hostedzone", []sku{
				{"$0.40 per 1,000,000 queries for the first 1 billion queries", "Queries", 4_000, huge},
			}},
			{"AWS Secrets Manager", "Security", "secret", []sku{
				{"$0.40 per secret per month", "Secrets", 4_000_000_000, fraction},
			}},
			{"Amazon Bedrock", "AI and Machine Learning", "model", []sku{
				{"$0.00025 per 1,000 input tokens", "Tokens", 2_500, huge},
			}},
		},
	},
	{
		name: "Microsoft", issuer: "Microsoft", weight: 19, billing: "/providers/Microsoft.Billing/billingAccounts/5550142", billingName: "Northwind Cooperative",
		regions: [][2]string{{"westeurope", "West Europe"}, {"northeurope", "North Europe"}, {"switzerlandnorth", "Switzerland North"}, {"eastus2", "East US 2"}},
		services: []service{
			{"Virtual Machines", "Compute", "microsoft.compute/virtualmachines", []sku{
				{"D2s v5 - 1 Compute Hour", "1 Hour", 960_000_000, fraction},
				{"B1ls - 1 Compute Hour", "1 Hour", 52_000_000, one},
			}},
			{"Storage Accounts", "Storage", "Storage account", []sku{
				{"Hot LRS Data Stored", "1 GB/Month", 180_000_000, fraction},
				{"All Other Operations, per 10K", "10K Operations", 4_000_000, fraction},
				{"Hot LRS Write Operations", "10K", 50_000_000, trace},
			}},
			{"Azure SQL Database", "Databases", "microsoft.sql/servers", []sku{
				{"General Purpose - vCore, serverless", "1 vCore Hour", 4_350_000_000, fraction},
			}},
			{"Azure Kubernetes Service", "Compute", "microsoft.containerservice/managedclusters", []sku{
				{"Standard Uptime SLA", "Cluster-Hours", 1_000_000_000, one},
			}},
			{"Azure Monitor", "Management and Governance", "microsoft.operationalinsights/workspaces", []sku{
				{"Analytics Logs Data Ingestion", "1 GB", 27_600_000_000, trace},
			}},
			{"Azure OpenAI", "AI and Machine Learning", "microsoft.cognitiveservices/accounts", []sku{
				{"Input tokens, \"regional\", per 1K", "1K Tokens", 25_000_000, volume},
			}},
			{"Bandwidth", "Networking", "microsoft.network/publicipaddresses", []sku{
				{"Standard Data Transfer Out", "1 GB", 870_000_000, fraction},
			}},
		},
	},
	{
		name: "Google Cloud", issuer: "Google Cloud EMEA Limited", weight: 16, billing: "01A2B3-C4D5E6-F70819", billingName: "Northwind Labs",
		regions: [][2]string{{"europe-west6", "Zürich"}, {"europe-west1", "Belgium"}, {"us-central1", "Iowa"}},
		services: []service{
			{"Compute Engine", "Compute", "instance", []sku{
				{"E2 Instance Core running in Zürich", "vCPU-Hours", 279_000_000, fraction},
				{"E2 Instance Ram running in Zürich", "gibibyte hour", 37_000_000, fraction},
			}},
			{"Cloud Storage", "Storage", "bucket", []sku{
				{"Standard Storage Europe Multi-region", "gibibyte month", 260_000_000, trace},
			}},
			{"BigQuery", "Analytics", "dataset", []sku{
				{"Analysis (on demand)", "tebibyte", 62_500_000_000, trace},
				{"Active Logical Storage", "gibibyte month", 230_000_000, fraction},
			}},
			{"Cloud Run", "Compute", "service", []sku{
				{"CPU Allocation Time", "seconds", 240_000, count},
				{"Requests", "requests", 4_000, huge},
			}},
			{"Cloud Pub/Sub", "Integration", "topic", []sku{
				{"Message Delivery Basic", "tebibyte", 400_000_000_000, trace},
			}},
			{"Vertex AI", "AI and Machine Learning", "endpoint", []sku{
				{"Text embedding characters", "characters", 250, huge},
			}},
		},
	},
	{
		name: "Oracle", issuer: "Oracle", weight: 7, empty: true, billing: "30415926", billingName: "",
		regions: [][2]string{{"", "eu-zurich-1"}, {"", "us-sanjose-1"}},
		services: []service{
			{"COMPUTE", "Compute", "instance", []sku{
				{"Standard - E5 - Memory", "GB Hours", 20_000_000, volume},
				{"Standard - A1", "OCPU Per Hour", 100_000_000, one},
			}},
			{"BLOCK_STORAGE", "Storage", "bootvolume", []sku{
				{"Block Volume - Performance Units", "Performance Units Per GB Per Month", 17_000_000, fraction},
			}},
			{"NETWORK", "Networking", "vnic", []sku{
				{"Outbound Data Transfer Zone 1", "GB Months", 0, volume},
			}},
			{"OBJECTSTORE", "Storage", "bucket", []sku{
				{"Object Storage - Requests", "10K Requests", 34_000_000, fraction},
			}},
		},
	},
}

// account is who uses: an invented name that stands for a SubAccountId.
type account struct{ id, name string }

var accounts = []account{
	{"500000000017", "Amber Harbour"}, {"500000000029", "Amber Orchard"}, {"500000000031", "Birch Lantern"},
	{"500000000048", "Cobalt Meadow"}, {"500000000053", "Copper Canyon"}, {"500000000066", "Elder Compass"},
	{"500000000071", "Fern Glacier"}, {"500000000084", "Granite Sparrow"}, {"500000000095", "Hazel Beacon"},
	{"500000000102", "Indigo Ferry"}, {"500000000110", "Juniper Atlas"}, {"500000000127", "Köbi's Werkstatt"},
	{"500000000133", "Larch Pavilion"}, {"500000000149", "Maple Quarry"},
}

var (
	applications = []string{"checkout", "ledger", "search", "telemetry", "thumbnailer", "mail-relay", "data-lake", "notebook"}
	environments = []string{"prod", "prod", "staging", "dev"}
	teams        = []string{"Basel Platform", "Porto Data", "Tallinn Web", "Kyoto Research", "Bern \"Core\""}
)
