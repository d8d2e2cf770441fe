/* The least that building a network of namespaces can cost.
 *
 * Builds the ring of benchmarks/plumbing.py (make_plan): namespaces with lo up, veth
 * pairs made in place with MAC addresses, MTU, one address and one route at each end,
 * by netlink messages packed into one buffer and sent once for each namespace and
 * phase. Prints the milliseconds that it took, "-" if it could not.
 *
 *     cc -O2 -o floor floor.c && sudo ./floor NODES LINKS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_INDEX = 16, MTU = 1500, CAPACITY = 1 << 18 };

struct node {
    int fd, sock, interfaces;
};

struct end {
    struct node *node;
    int index;
    unsigned char mac[6];
    uint32_t address;
};

static char buffer[CAPACITY];
static size_t used;
static struct nlmsghdr *last;
static uint32_t sequence;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    puts("-");
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* Messages */

static void *put(const void *data, size_t size)
{
    char *place = buffer + used;
    if (used + size + 8 > CAPACITY) {
        errno = ENOBUFS;
        die("batch");
    }
    if (data)
        memcpy(place, data, size);
    memset(place + size, 0, NLMSG_ALIGN(size) - size);
    used += NLMSG_ALIGN(size);
    return place;
}

static void begin(int type, int flags)
{
    struct nlmsghdr header = {
        .nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST, .nlmsg_seq = ++sequence};
    last = put(&header, sizeof header);
}

static void end(void)
{
    last->nlmsg_len = buffer + used - (char *)last;
}

static struct rtattr *attribute(int type, const void *data, size_t size)
{
    struct rtattr header = {.rta_len = RTA_LENGTH(size), .rta_type = type};
    struct rtattr *place = put(&header, sizeof header);
    put(data, size);
    return place;
}

static void attribute_u32(int type, uint32_t value)
{
    attribute(type, &value, sizeof value);
}

static struct rtattr *nest(int type)
{
    return attribute(type | NLA_F_NESTED, NULL, 0);
}

static void unnest(struct rtattr *place)
{
    place->rta_len = buffer + used - (char *)place;
}

/* One packet with everything since the last one; only its last message is acknowledged. */
static void flush(int sock)
{
    static char answer[1 << 16];
    if (!used)
        return;
    last->nlmsg_flags |= NLM_F_ACK;
    if (send(sock, buffer, used, 0) < 0)
        die("send");
    used = 0;
    for (;;) {
        int size = recv(sock, answer, sizeof answer, 0);
        if (size < 0)
            die("recv");
        struct nlmsghdr *h = (void *)answer;
        for (; NLMSG_OK(h, (unsigned)size); h = NLMSG_NEXT(h, size)) {
            struct nlmsgerr *error = NLMSG_DATA(h);
            if (h->nlmsg_type == NLMSG_ERROR && error->error) {
                errno = -error->error;
                die("the kernel refused");
            }
            if (h->nlmsg_seq == sequence)
                return;
        }
    }
}

static void link_header(int index, unsigned flags)
{
    struct ifinfomsg info = {.ifi_index = index, .ifi_flags = flags, .ifi_change = flags};
    put(&info, sizeof info);
}

static void bring_up(int index)
{
    begin(RTM_NEWLINK, 0);
    link_header(index, IFF_UP);
    end();
}

static void identity(const struct end *e, const char *name)
{
    attribute(IFLA_IFNAME, name, strlen(name) + 1);
    attribute(IFLA_ADDRESS, e->mac, sizeof e->mac);
    attribute_u32(IFLA_MTU, MTU);
    attribute_u32(IFLA_NUM_TX_QUEUES, 1);
    attribute_u32(IFLA_NUM_RX_QUEUES, 1);
}

static void make_pair(const struct end *here, const struct end *there, int number)
{
    char name[16];
    snprintf(name, sizeof name, "e%d", number);
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link_header(here->index, IFF_UP);
    identity(here, name);
    struct rtattr *info = nest(IFLA_LINKINFO);
    attribute(IFLA_INFO_KIND, "veth", 5);
    struct rtattr *data = nest(IFLA_INFO_DATA);
    struct rtattr *peer = nest(VETH_INFO_PEER);
    link_header(there->index, 0);
    identity(there, name);
    attribute_u32(IFLA_NET_NS_FD, there->node->fd);
    unnest(peer);
    unnest(data);
    unnest(info);
    end();
}

static void address_and_route(const struct end *e, const struct end *other, int number)
{
    uint32_t own = htonl(e->address), via = htonl(other->address);
    uint32_t target = htonl((172u << 24) + ((uint32_t)number << 8));
    struct ifaddrmsg address = {.ifa_family = AF_INET, .ifa_prefixlen = 31, .ifa_index = e->index};
    begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    put(&address, sizeof address);
    attribute(IFA_LOCAL, &own, 4);
    attribute(IFA_ADDRESS, &own, 4);
    end();
    struct rtmsg route = {.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST};
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    put(&route, sizeof route);
    attribute(RTA_DST, &target, 4);
    attribute(RTA_GATEWAY, &via, 4);
    attribute_u32(RTA_OIF, e->index);
    end();
}

/* Phases */

static void make_namespace(struct node *node)
{
    int one = 1;
    if (unshare(CLONE_NEWNET) < 0)
        die("unshare");
    node->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    node->sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (node->fd < 0 || node->sock < 0)
        die("namespace");
    setsockopt(node->sock, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    bring_up(1);
    flush(node->sock);
}

static void build(struct node *nodes, int count, struct end (*ends)[2], int links)
{
    for (int i = 0; i < count; i++)
        make_namespace(&nodes[i]);
    for (int l = 0; l < links; l++) {
        struct node *pair[] = {&nodes[l % count], &nodes[(l % count + 1 + l / count * 7) % count]};
        for (int k = 0; k < 2; k++)
            ends[l][k] = (struct end){pair[k], FIRST_INDEX + pair[k]->interfaces++,
                                      {2, 0, k, 0, l >> 8, l & 255}, (10u << 24) + 2 * l + k};
    }
    for (int i = 0; i < count; i++) {
        for (int l = i; l < links; l += count)
            make_pair(&ends[l][0], &ends[l][1], l);
        flush(nodes[i].sock);
    }
    /* Link l leads from node l % count to the one that the formula above gives. */
    for (int i = 0; i < count; i++) {
        for (int l = i; l < links; l += count)
            address_and_route(&ends[l][0], &ends[l][1], l);
        for (int row = 0; row * count < links; row++) {
            int l = row * count + (i + count - (1 + row * 7) % count) % count;
            if (l >= links)
                continue;
            bring_up(ends[l][1].index);
            address_and_route(&ends[l][1], &ends[l][0], l);
        }
        flush(nodes[i].sock);
    }
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 40, links = argc > 2 ? atoi(argv[2]) : 60;
    struct rlimit files = {1 << 20, 1 << 20};
    if (count < 1 || links < 0)
        return 2;
    setrlimit(RLIMIT_NOFILE, &files);
    double start = now_ms();
    struct node *nodes = calloc(count, sizeof *nodes);
    struct end(*ends)[2] = calloc(links + 1, sizeof *ends);
    if (!nodes || !ends)
        die("memory");
    build(nodes, count, ends, links);
    printf("%.3f\n", now_ms() - start);
    if (argc > 3) { /* stay until standard input ends, to be looked at */
        fflush(stdout);
        while (getchar() != EOF)
            ;
    }
    return 0;
}
