/* Reads one state of a store until its input ends, for 17-readers:  hold_reader STORE
 * Says "holding" once it does. */
#include <lmdb.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
    MDB_env *env;
    MDB_txn *txn;

    if (argc != 2 || mdb_env_create(&env) != 0 ||
        mdb_env_open(env, argv[1], MDB_RDONLY | MDB_NOTLS, 0600) != 0 ||
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0) {
        fprintf(stderr, "hold_reader: the store cannot be read\n");
        return 1;
    }
    puts("holding");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return 0;
}
